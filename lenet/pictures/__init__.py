"""Image files to arrays and back: photographs, digits, folders of images, plots."""
