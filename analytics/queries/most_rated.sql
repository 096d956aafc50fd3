-- The ten most rated items, with their mean rating
SELECT i.title, count(*) AS ratings, round(avg(r.rating), 2) AS mean_rating
FROM ratings r
JOIN (SELECT item_id, max(title) AS title FROM items GROUP BY item_id) i ON i.item_id = r.item_id
GROUP BY r.item_id, i.title
ORDER BY ratings DESC, i.title
LIMIT 10
