"""What a file says of itself: type, fitness, digests, capture. The only importer of Pillow and piexif."""
