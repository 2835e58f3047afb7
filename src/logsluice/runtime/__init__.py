"""What every process of logsluice needs while it runs, whatever its work is."""
