"""What stages share about networks: backbones and their weights, features, augmentation."""
