"""How commands draw: charts and pages that need nothing from elsewhere, bars and intervals in a terminal."""
