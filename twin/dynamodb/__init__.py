"""DynamoDB's promises that moto does not keep."""
