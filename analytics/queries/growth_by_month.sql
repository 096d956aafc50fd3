-- Ratings by month and in total, for the last 24 months
SELECT month, ratings, users, total_ratings
FROM (
    SELECT date_format(rated_at, '%Y-%m') AS month, count(*) AS ratings, count(DISTINCT user_id) AS users,
           sum(count(*)) OVER (ORDER BY date_format(rated_at, '%Y-%m')) AS total_ratings
    FROM ratings
    GROUP BY date_format(rated_at, '%Y-%m')
)
ORDER BY month DESC
LIMIT 24
