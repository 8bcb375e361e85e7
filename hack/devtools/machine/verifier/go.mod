module mutualtls.dev/verifier

go 1.26.0
