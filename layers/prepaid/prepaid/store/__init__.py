"""The rules' memory: the only part that knows DynamoDB and its errors."""
