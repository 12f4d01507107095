package config

// Examined returns how many SLOs Lookup looks at.
func Examined(c *Config, set map[string]string) int {
	_, n := c.index.find(set)
	return n
}
