"""What Grafana shows, as code: ``python -m grafana`` writes the files that Grafana and Prometheus read.

Nothing of the pipeline needs this package; it is the source of ``k8s/components/monitoring/dashboards``.
"""
