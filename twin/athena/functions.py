"""Trino's functions: functions that Athena lacks are refused, even where DuckDB has them.

Where DuckDB has the function and means something else, `same_meaning` writes it anew.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from sqlglot import exp

from twin.athena.results import QueryError, Unsupported

#: Trino's list of functions and operators (engine version 3), without geography, Teradata and machine learning.
TRINO = frozenset(
    """
    abs acos all_match any_match any_value approx_distinct approx_most_frequent approx_percentile approx_set arbitrary
    array array_agg array_distinct array_except array_first array_intersect array_join array_last array_max array_min
    array_position array_remove array_sort array_union arrays_overlap asin at_timezone atan atan2 avg bit_count
    bitwise_and bitwise_and_agg bitwise_left_shift bitwise_not bitwise_or bitwise_or_agg bitwise_right_shift bitwise_xor
    bitwise_xor_agg bool_and bool_or cardinality cast cbrt ceil ceiling checksum chr coalesce codepoint combinations
    concat concat_ws contains contains_sequence corr cos cosh cosine_distance cosine_similarity count count_if covar_pop
    covar_samp crc32 cume_dist current_timezone date date_add date_diff date_format date_parse date_trunc day
    day_of_month day_of_week day_of_year degrees dense_rank dow doy e element_at every exists exp extract filter
    first_value flatten floor format format_datetime format_number from_base from_base32 from_base64 from_base64url
    from_hex from_iso8601_date from_iso8601_timestamp from_unixtime from_utf8 geometric_mean greatest grouping
    hamming_distance histogram hmac_md5 hmac_sha1 hmac_sha256 hmac_sha512 hour human_readable_seconds if index infinity
    is_finite is_infinite is_json_scalar is_nan json_array json_array_contains json_array_get json_array_length
    json_exists json_extract json_extract_scalar json_format json_object json_parse json_query json_size json_value
    kurtosis lag last_day_of_month last_value lead least length levenshtein_distance listagg ln log log10 log2 lower
    lpad ltrim luhn_check map map_agg map_concat map_entries map_filter map_from_entries map_keys map_union map_values
    map_zip_with max max_by md5 merge millisecond min min_by minute mod month multimap_agg multimap_from_entries murmur3
    nan ngrams none_match normal_cdf normalize now nth_value ntile nullif numeric_histogram parse_datetime
    parse_duration percent_rank pi position pow power qdigest_agg quarter radians rand random rank reduce reduce_agg
    regexp_count regexp_extract regexp_extract_all regexp_like regexp_position regexp_replace regexp_split
    regr_intercept regr_slope repeat replace reverse round row row_number rpad rtrim second sequence sha1 sha256 sha512
    shuffle sign sin sinh skewness slice soundex split split_part split_to_map split_to_multimap sqrt starts_with stddev
    stddev_pop stddev_samp strpos substr substring sum tan tanh tdigest_agg timezone_hour timezone_minute to_base
    to_base32 to_base64 to_base64url to_hex to_iso8601 to_milliseconds to_unixtime to_utf8 transform transform_keys
    transform_values translate trim trim_array truncate try try_cast typeof unnest upper url_decode url_encode
    url_extract_fragment url_extract_host url_extract_parameter url_extract_path url_extract_port url_extract_protocol
    url_extract_query uuid value_at_quantile values_at_quantiles var_pop var_samp variance week week_of_year
    width_bucket wilson_interval_lower wilson_interval_upper with_timezone word_stem xxhash64 year year_of_week yow zip
    zip_with
    """.split()  # noqa: SIM905 - three hundred quotes are no help to a reader
)

#: Syntax that DuckDB takes and Trino does not.
_FOREIGN: Mapping[type[exp.Expr], str] = {
    exp.ILike: "ILIKE (use lower(…) LIKE)",
    exp.Qualify: "QUALIFY",
    exp.Pivot: "PIVOT",
}


def check(tree: exp.Expression, sql: str) -> None:
    """QueryError for a function or a syntax that Athena does not have. sql: the text that the tree was read from."""
    for node in tree.walk():
        foreign = _FOREIGN.get(type(node))
        if foreign or (isinstance(node, exp.Star) and any(node.args.get(name) for name in ("except_", "replace"))):
            raise QueryError(f"SYNTAX_ERROR: Athena has no {foreign or '* EXCEPT'}")
        start = node.meta.get("start") if isinstance(node, exp.Func) else None
        if start is not None:
            name = sql[start : node.meta["end"] + 1].strip('"').lower()
            if name not in TRINO:
                place = f"line {node.meta['line']}:{node.meta['col'] - len(name) + 1}"
                raise QueryError(f"SYNTAX_ERROR: {place}: Function '{name}' not registered")


def same_meaning(node: exp.Expression) -> exp.Expression:
    """Rewrite a function that DuckDB defines differently; Unsupported when it has no equivalent."""
    rewrite = _REWRITES.get(type(node))
    return node if rewrite is None else rewrite(node)


def _anonymous(name: str, *arguments: exp.Expression) -> exp.Expression:
    return exp.Anonymous(this=name, expressions=[argument.copy() for argument in arguments])


def _date_diff(node: exp.Expression) -> exp.Expression:
    """Trino counts whole periods, DuckDB's date_diff counts boundaries crossed."""
    unit = exp.Literal.string(node.text("unit").lower() or "day")
    return _anonymous("date_sub", unit, node.args["expression"], node.this)


def _slice(node: exp.Expression) -> exp.Expression:
    """Trino's slice takes a start and a length, DuckDB's a start and an end. A start from the end counts back."""
    start, length = node.args["start"], node.args["end"]
    if not (isinstance(start, exp.Literal) and isinstance(length, exp.Literal)):
        raise Unsupported("slice with anything but two positive numbers")
    end = exp.Literal.number(int(start.name) + int(length.name) - 1)
    return _anonymous("array_slice", node.this, start, end)


def _regexp_extract(node: exp.Expression) -> exp.Expression:
    """Without a match Trino gives NULL, DuckDB an empty string."""
    group = node.args.get("group") or exp.Literal.number(0)
    found = _anonymous("regexp_extract", node.this, node.args["expression"], group)
    return exp.Case().when(_anonymous("regexp_matches", node.this, node.args["expression"]), found)


def _regexp_replace(node: exp.Expression) -> exp.Expression:
    """A group in the replacement is $1 in Trino, \\1 in DuckDB."""
    replacement = node.args.get("replacement")
    if replacement is None or not isinstance(replacement, exp.Literal):
        return node
    written = re.sub(r"\$(\d)", r"\\\1", replacement.name)
    if "$" in written:
        raise Unsupported(f"regexp_replace with {replacement.name!r} (groups by number only)")
    node.set("replacement", exp.Literal.string(written))
    return node


def _split_part(node: exp.Expression) -> exp.Expression:
    """Past the last part Trino gives NULL, DuckDB an empty string."""
    text, delimiter, index = node.this, node.args["delimiter"], node.args["part_index"]
    parts = _anonymous("len", _anonymous("string_split", text, delimiter))
    found = _anonymous("split_part", text, delimiter, index)
    return exp.Case().when(exp.LTE(this=index.copy(), expression=parts), found)


def _refuse(node: exp.Expression) -> exp.Expression:
    raise Unsupported(f"{node.key} (DuckDB means something else by it)")


_REWRITES: Mapping[type[exp.Expression], Callable[[exp.Expression], exp.Expression]] = {
    exp.DateDiff: _date_diff,
    exp.ArraySlice: _slice,
    exp.RegexpExtract: _regexp_extract,
    exp.RegexpReplace: _regexp_replace,
    exp.SplitPart: _split_part,
    exp.Format: _refuse,
}
