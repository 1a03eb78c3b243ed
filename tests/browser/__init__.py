"""What is shown and saved in a real JupyterLab, in headless Chromium."""
