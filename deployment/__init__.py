"""What happens in a real AWS account: building, deploying with the settings of samconfig.toml, and checking the result.

The local cloud deploys the same template by itself, see local/.
"""
