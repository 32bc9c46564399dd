"""Deploys to a real AWS account: builds, deploys with the settings of samconfig.toml, and checks the result.

The local cloud deploys the same template with local/.
"""
