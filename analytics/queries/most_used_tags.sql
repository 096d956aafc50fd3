-- The twenty most used tags
SELECT lower(tag) AS word, count(*) AS uses, count(DISTINCT user_id) AS users, count(DISTINCT item_id) AS items
FROM tags
GROUP BY lower(tag)
ORDER BY uses DESC, word
LIMIT 20
