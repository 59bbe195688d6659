# The packs.
