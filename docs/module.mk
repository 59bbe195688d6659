# Man page and guides. A guide is one line here; what is listed is installed in $(docdir).
dist_man_MANS = %D%/agentsh.1
dist_doc_DATA = README.md HACKING.md LICENSE
dist_doc_DATA += %D%/ARCHITECTURE.md
dist_doc_DATA += %D%/AUDIT.md
dist_doc_DATA += %D%/POLICY.md
dist_doc_DATA += %D%/FSGATE.md
dist_doc_DATA += %D%/agentsh-mount@.service
dist_doc_DATA += %D%/EXECGATE.md %D%/SYSCALLS.md
dist_doc_DATA += %D%/dependencies.md
dist_doc_DATA += %D%/testing.md
dist_doc_DATA += %D%/UNDO.md %D%/threat-model.md
dist_doc_DATA += %D%/NETGATE.md
