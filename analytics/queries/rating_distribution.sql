-- How often each rating was given
SELECT rating, count(*) AS ratings, round(100.0 * count(*) / sum(count(*)) OVER (), 1) AS percent
FROM ratings
GROUP BY rating
ORDER BY rating
