package wiki

// All and FromEach are for the tests.
var All, FromEach = all, from
