"""Where candidates come from: the observer (hints) and the scan (the truth). The only importer of watchdog."""
