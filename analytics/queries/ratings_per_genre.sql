-- Ratings and their mean for each genre
SELECT genre, count(*) AS ratings, count(DISTINCT r.item_id) AS items, round(avg(r.rating), 2) AS mean_rating
FROM ratings r
JOIN (SELECT DISTINCT item_id, genre FROM items CROSS JOIN UNNEST(genres) AS g (genre)) i ON i.item_id = r.item_id
GROUP BY genre
ORDER BY ratings DESC, genre
