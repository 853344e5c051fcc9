"""Common ground of the programs, and the only place where they meet: object names, published schemas, and stores."""
