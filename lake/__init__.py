"""What the programs share, and the only place where they meet: object names, published schemas, and stores."""
