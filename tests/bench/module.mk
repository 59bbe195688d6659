# Listed here.
