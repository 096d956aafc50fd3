-- The twenty newest ratings
SELECT r.rated_at, r.user_id, r.item_id, i.title, r.rating
FROM ratings r
LEFT JOIN (SELECT item_id, max(title) AS title FROM items GROUP BY item_id) i ON i.item_id = r.item_id
ORDER BY r.rated_at DESC, r.user_id, r.item_id
LIMIT 20
