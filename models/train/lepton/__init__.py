"""What the recipes share: networks, the training loop, export and quantisation, and the bundle's files."""
