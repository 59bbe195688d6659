# The packs, each with the table of requests that says what it means.
dist_pack_DATA += \
	%D%/base.yaml \
	%D%/code-edit.yaml
