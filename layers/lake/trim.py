"""Cut the lake layer's packages down to what Usher loads: Lambda takes 262,144,000 bytes, layers and function together.

Run by this folder's Makefile during `sam build`, with any Python 3: `trim.py <site-packages>`.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

#: The Lambda runtime brings boto3 and what it stands on.
IN_THE_RUNTIME = ("boto3", "botocore", "s3transfer", "dateutil", "python_dateutil", "six", "urllib3", "jmespath")
#: Wanted by PyIceberg's other catalogs, its command line, or its printing; nothing that Usher runs loads them.
NOT_LOADED = (
    *("requests", "idna", "certifi", "charset_normalizer", "fsspec", "click"),
    *("pygments", "markdown_it", "markdown_it_py", "mdurl", "vendor", "hive_metastore", "fb303"),
)
#: Parts of packages that stay.
PARTS = (
    *("pyiceberg/cli", "zstandard/_cffi*", "zstandard/backend_cffi*"),
    *(f"pyarrow/{part}" for part in ("include", "includes", "src", "tests", "*.pxd", "*.pyx", "*.pxi", "*.h")),
    # Arrow's engines for what Usher does not use. libarrow_substrait stays: other libraries are linked to it.
    *(
        f"pyarrow/lib{engine}"
        for engine in ("arrow_flight*", "arrow_python_flight*", "arrow_python_parquet_encryption*")
    ),
    *(f"pyarrow/_{engine}.*" for engine in ("flight", "parquet_encryption", "dataset_parquet_encryption", "substrait")),
    *(f"pyarrow/_{engine}.*" for engine in ("azurefs", "gcsfs", "hdfs", "orc", "dataset_orc", "pyarrow_cpp_tests")),
)


def main(packages: Path) -> None:
    """Trim `packages` in place and print the sizes before and after."""
    before = size(packages)
    for name in IN_THE_RUNTIME + NOT_LOADED:
        remove(packages, name, f"{name}.py", f"{name}-*.dist-info")
    remove(packages, *PARTS)
    drop_copies(packages / "pyarrow")
    strip(packages)
    print(f"lake layer: {before / 1e6:.1f} MB trimmed to {size(packages) / 1e6:.1f} MB")  # noqa: T201 - sam build shows it


def drop_copies(arrow: Path) -> None:
    """A wheel has no links, so Arrow's libraries come under three names; the loader asks for `.so.<major>` alone."""
    for library in arrow.glob("lib*.so.*"):
        if library.name.rpartition(".so.")[2].isdigit():
            stem = library.name.partition(".so.")[0]
            remove(arrow, f"{stem}.so", f"{stem}.so.*.*")


def strip(packages: Path) -> None:
    """Symbols are a tenth of the size; where the machine has no `strip` the layer still fits."""
    if shutil.which("strip") is None:
        return
    for library in (*packages.rglob("*.so"), *packages.rglob("*.so.*")):
        subprocess.run(["strip", "--strip-unneeded", str(library)], check=False, capture_output=True)


def remove(folder: Path, *patterns: str) -> None:
    for pattern in patterns:
        for path in folder.glob(pattern):
            shutil.rmtree(path) if path.is_dir() else path.unlink()


def size(folder: Path) -> int:
    """Bytes of all files below `folder`."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


if __name__ == "__main__":
    main(Path(sys.argv[1]))
