-- The ten users with the most ratings, and the days on which they rated
SELECT user_id, count(*) AS ratings, round(avg(rating), 2) AS mean_rating,
       count(DISTINCT CAST(rated_at AS date)) AS days
FROM ratings
GROUP BY user_id
ORDER BY ratings DESC, user_id
LIMIT 10
