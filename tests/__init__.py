"""The tests of the app and the site."""
