-- Gaps in the catalogue: items without ratings, ratings without an item, items without genres
SELECT 'items' AS measure, count(DISTINCT item_id) AS number FROM items
UNION ALL
SELECT 'items without a rating', count(DISTINCT i.item_id)
FROM items i LEFT JOIN ratings r ON r.item_id = i.item_id WHERE r.item_id IS NULL
UNION ALL
SELECT 'rated items that are not in the catalogue', count(DISTINCT r.item_id)
FROM ratings r LEFT JOIN items i ON i.item_id = r.item_id WHERE i.item_id IS NULL
UNION ALL
SELECT 'items without genres', count(DISTINCT item_id) FROM items WHERE genres IS NULL OR cardinality(genres) = 0
UNION ALL
SELECT 'items without a year', count(DISTINCT item_id) FROM items WHERE released_at IS NULL
UNION ALL
SELECT 'items without links', count(DISTINCT i.item_id)
FROM items i LEFT JOIN links l ON l.item_id = i.item_id WHERE l.item_id IS NULL
