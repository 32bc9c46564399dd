"""The only part that knows HTTP: a file for each family of routes, and in http/ what all of them share."""
