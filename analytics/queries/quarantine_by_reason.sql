-- Refused rows by data set, field and reason
SELECT dataset, coalesce(field, '') AS field, reason, count(*) AS rows_refused, max(dt) AS last_day
FROM quarantine
GROUP BY dataset, field, reason
ORDER BY rows_refused DESC, dataset, reason
LIMIT 50
