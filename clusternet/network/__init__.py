"""The U-Net, the fixed filters beside it, and the back end that runs them."""
