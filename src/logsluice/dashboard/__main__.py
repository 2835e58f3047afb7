"""``python -m logsluice.dashboard FLAGS``: Streamlit's own ``streamlit run`` on the page.

The page's modules are imported before it listens, so that the first visitor does not wait for them.
"""

import sys
from pathlib import Path

from streamlit.web import cli

import logsluice.dashboard.page  # noqa: F401 - imported early, see above
from logsluice.runtime.certificates import stop_on_certificate_renewal
from logsluice.settings import load_settings

if __name__ == "__main__":
    stop_on_certificate_renewal(load_settings())
    sys.argv = ["streamlit", "run", str(Path(__file__).with_name("app.py")), *sys.argv[1:]]
    cli.main()
