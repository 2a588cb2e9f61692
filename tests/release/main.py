"""Everything that tests/release/check checks, in its order."""
import os
import sys
import tempfile

REPO = os.path.abspath(os.path.join(os.path.dirname(__file__), "..", ".."))
sys.path[:0] = [os.path.join(REPO, "cross", "vmlib")]

import addon_checks as addon  # noqa: E402
import apt_checks as apt  # noqa: E402
import image_checks as image  # noqa: E402
import install_checks as install  # noqa: E402
import lint_checks as lint  # noqa: E402
import made  # noqa: E402
import release_checks as release  # noqa: E402
from report import Report  # noqa: E402


def main():
    """Runs everything. Returns the exit code."""
    with tempfile.TemporaryDirectory() as work:
        # apt and gpg as other users look into it.
        os.chmod(work, 0o755)
        report = Report(os.path.join(work, "transcript.txt"))
        check = report.check
        for name, function in lint.CHECKS:
            check(name, function, REPO)
        check("add-on: config.yaml by the Supervisor's schema", addon.config, REPO)
        check("add-on: every option has words in every translation", addon.translations, REPO)
        check("add-on: options and the Supervisor's broker become a configuration", addon.first_start, REPO, work)
        check("add-on: what is missing is said", addon.without, REPO, work)
        check("image: the recipe has what is documented", image.recipe, REPO)
        check("image: built where an engine is", image.built, REPO, work)
        files = made.files(work)
        if check("release: a directory is made, whole or not at all", release.directory, REPO, work, files):
            for name, function in install.CHECKS:
                check(name, function, REPO, work, files)
        check("release: what does not fit is refused", release.refused, REPO, work, files)
        check("release: a tag has to be the version everywhere", release.tag, REPO)
        for name, function in apt.CHECKS:
            check(name, function, REPO, work, files)
        return report.end("tests/release/check")


if __name__ == "__main__":
    sys.exit(main())
