// Package command carries out what people ask to be done to incidents, or shows
// what it would bring about. It is the one way for that: programs come here through
// the API, people through the pages.
package command
