package api

import (
	"maps"
	"slices"
)

// Described are the fields that the document describes.
func Described() []string { return slices.Sorted(maps.Keys(about)) }
