# The packs, each with the table of requests that says what it means.
dist_pack_DATA += \
	%D%/base.yaml %D%/base.cases.yaml \
	%D%/code-edit.yaml %D%/code-edit.cases.yaml
