"""Camera cards: copies that are verified, and the verdict whether the card may be formatted."""
