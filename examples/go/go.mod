module example.com/mtls

go 1.21
