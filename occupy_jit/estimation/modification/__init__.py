"""Modified maps: equalising, exaggerating or attenuating partial occupancy, band by band or by plain factors."""
