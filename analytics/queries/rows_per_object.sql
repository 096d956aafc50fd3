-- Rows of each landing object in the lake, newest first
SELECT dataset, substr(source, 1, 32) AS object_digest, count(*) AS rows_in_lake, max(ingested_at) AS ingested_at
FROM (
    SELECT 'ratings' AS dataset, source, ingested_at FROM ratings
    UNION ALL SELECT 'items', source, ingested_at FROM items
    UNION ALL SELECT 'tags', source, ingested_at FROM tags
    UNION ALL SELECT 'links', source, ingested_at FROM links
    UNION ALL SELECT 'events', source, ingested_at FROM events
)
GROUP BY dataset, substr(source, 1, 32)
ORDER BY ingested_at DESC, dataset, object_digest
LIMIT 50
