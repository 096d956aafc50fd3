-- Splits the rows of a snapshot by time into train, validation and test. Spark can run it where one machine is too small.
-- Input tables: ratings_in, events_in, items_in, tags_in. Variables: trained_until_us (the champion's, or 0);
-- of usher.schema.interactions: kinds (their names, the strongest first), rating_code and view_code.

-- An event is delivered at least once: of equal ids the one that arrived first counts.
CREATE TABLE events AS
SELECT unnest(first)
FROM (SELECT min_by(
          {user_id: user_id, item_id: item_id, type: type, occurred_at_us: occurred_at_us,
           arrived_us: coalesce(ingested_at_us, 0), source: coalesce(source, '')},
          (coalesce(ingested_at_us, 0), coalesce(source, ''))
      ) AS first
      FROM events_in
      GROUP BY event_id);

-- Ratings and events side by side. kind: the code, its place in `kinds` from 0.
CREATE VIEW acts AS
SELECT user_id, item_id, getvariable('rating_code')::TINYINT AS kind, rating, rated_at_us, coalesce(ingested_at_us, 0) AS arrived_us,
       coalesce(source, '') AS source
FROM ratings_in
UNION ALL
SELECT user_id, item_id, (list_position(getvariable('kinds'), type) - 1)::TINYINT, 0,
       occurred_at_us, arrived_us, source
FROM events;

-- One row for a user and an item. Views, which may outnumber all else, do not move the split: they are
-- never predicted.
CREATE TABLE latest AS
SELECT user_id, item_id, max(rated_at_us) AS rated_at_us
FROM acts
WHERE kind < getvariable('view_code')
GROUP BY user_id, item_id;

-- The held-out window: the last 20 % of the rows, or the last 200,000 if that is fewer, and no
-- row that the champion was fitted on. Rows of the same time stay together.
CREATE TABLE split AS
WITH ranked AS (
    SELECT rated_at_us, row_number() OVER (ORDER BY rated_at_us) - 1 AS place, count(*) OVER () AS total FROM latest
),
start AS (
    SELECT coalesce(greatest(min(rated_at_us), getvariable('trained_until_us')), getvariable('trained_until_us')) AS split_at_us
    FROM ranked
    WHERE place >= total - least(floor(total * 0.2), 200000) - CASE WHEN total < 5 THEN 1 ELSE 0 END
),
before AS (
    SELECT rated_at_us, row_number() OVER (ORDER BY rated_at_us) - 1 AS place, count(*) OVER () AS total
    FROM latest WHERE rated_at_us < (SELECT split_at_us FROM start)
)
-- The last tenth before the split, by time, is the validation set of tuning.
SELECT (SELECT split_at_us FROM start) AS split_at_us,
       coalesce(min(rated_at_us), (SELECT split_at_us FROM start)) AS validation_at_us
FROM before
WHERE place >= floor(total * 0.9);

-- Of a user's rows for an item on one side of the split the strongest kind wins (a rating over a purchase, that over a
-- click, that over a view), of this the latest; equal times are decided by arrival, then by the source. A row after the
-- split does not replace the one before it: models learn from the earlier row, and the later one is not a discovery.
-- Otherwise a champion, fitted on the earlier row, would be evaluated on an item that it has seen.
CREATE TABLE kept AS
SELECT user_id, item_id,
       max_by(rating, (-kind, rated_at_us, arrived_us, source, rating)) AS rating,
       min(kind) AS kind,
       max_by(rated_at_us, (-kind, rated_at_us)) AS rated_at_us
FROM acts
CROSS JOIN split
GROUP BY user_id, item_id, rated_at_us >= split_at_us;

-- Dense ids, in the order of the first rating: those known before the split come first.
CREATE TABLE users AS
SELECT (row_number() OVER (ORDER BY min(rated_at_us), user_id) - 1)::INTEGER AS "user", user_id
FROM kept
GROUP BY user_id;

CREATE TABLE described AS
SELECT * FROM items_in
QUALIFY row_number() OVER (PARTITION BY item_id ORDER BY coalesce(ingested_at_us, 0) DESC, coalesce(source, '') DESC, title) = 1;

CREATE TABLE tagged AS
SELECT item_id, list(DISTINCT word ORDER BY word) AS tags
FROM (SELECT item_id, lower(trim(tag)) AS word FROM tags_in WHERE tagged_at_us < (SELECT split_at_us FROM split))
WHERE word <> ''
GROUP BY item_id;

CREATE TABLE items AS
WITH first_rated AS (SELECT item_id, min(rated_at_us) AS first_us FROM kept GROUP BY item_id)
SELECT (row_number() OVER (ORDER BY first_us NULLS LAST, item_id) - 1)::INTEGER AS item,
       item_id,
       coalesce(title, item_id) AS title,
       coalesce(list_filter(genres, lambda name: name <> '(no genres listed)'), []) AS genres,
       coalesce(
           year(make_timestamp(released_at_us)),
           try_cast(regexp_extract(title, '\((\d{4})\)\s*$', 1) AS INTEGER)
       )::INTEGER AS "year",
       released_at_us,
       coalesce(tags, []) AS tags
FROM (SELECT item_id FROM first_rated UNION SELECT item_id FROM described)
LEFT JOIN first_rated USING (item_id)
LEFT JOIN described USING (item_id)
LEFT JOIN tagged USING (item_id);

CREATE TABLE rows AS
SELECT "user", item, rating::FLOAT AS rating, rated_at_us, kind,
       CASE WHEN rated_at_us >= split_at_us THEN 'test'
            WHEN rated_at_us >= validation_at_us THEN 'validation'
            ELSE 'train' END AS part
FROM kept
JOIN users USING (user_id)
JOIN items USING (item_id)
CROSS JOIN split
ORDER BY "user", item;
