"""Everything that talks to Elasticsearch: bulk writes, templates, roles and searches."""
