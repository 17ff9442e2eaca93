"""The stand-in for the service, as strict as the service's page."""
