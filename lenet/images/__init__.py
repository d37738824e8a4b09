"""Photographs and folders of images, from files to arrays and back."""
