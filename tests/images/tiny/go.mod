module modelship/tests/images/tiny

go 1.26.0
