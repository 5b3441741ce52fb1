import Model
import S3Repository
import Testing

@Suite struct S3LocationTests {
    @Test func everythingThatAPlaceSaysIsRead() throws {
        let place = try S3Location(
            "s3://backups//of/store/?endpoint=https://backup.example:9000&region=eu-1&credentials=%2Fetc%2Fa%20b&ca=/ca.pem&retain-days=7&retain-mode=governance&at=2026-11-25T02:09:00Z"
        )
        #expect(place.bucket == "backups" && place.prefix == "of/store")
        #expect(place.endpoint == "https://backup.example:9000" && place.authority == "backup.example:9000")
        #expect(place.region == "eu-1" && place.credentialsPath == "/etc/a b")
        #expect(place.authoritiesPath == "/ca.pem" && place.retainDays == 7)
        #expect(place.lockMode == .governance)
        #expect(place.moment == Timestamp(microseconds: 1_795_572_540_000_000))
        #expect(place.directory == "s3://backups/of/store")
    }

    @Test func whatIsNotSaidIsAmazons() throws {
        let place = try S3Location("S3://backups")
        #expect(place.endpoint == "https://s3.us-east-1.amazonaws.com" && place.prefix == "")
        #expect(place.directory == "s3://backups" && place.moment == nil)
        #expect(place.retainDays == nil && place.lockMode == .compliance && place.credentialsPath == nil)
        let elsewhere = try S3Location("s3://b/p?region=eu-central-1")
        #expect(elsewhere.endpoint == "https://s3.eu-central-1.amazonaws.com")
    }

    @Test(arguments: [
        ("http://[::1]:9000", "[::1]:9000"), ("https://h:443", "h"), ("http://h:80", "h"),
        ("http://h:443", "h:443"),
        ("HTTP://h:8080/", "h:8080"),
    ])
    func theHostIsAsInItsHeader(endpoint: String, authority: String) throws {
        #expect(try S3Location("s3://b?endpoint=\(endpoint)").authority == authority)
    }

    @Test(arguments: [
        ("/srv/backup", "s3://"), ("s3://", "names no bucket"), ("s3:///prefix", "names no bucket"),
        ("s3://key:secret@bucket", "names no bucket"), ("s3://b?endpoint=ftp://h", "the endpoint is"),
        ("s3://b?endpoint=http://h/path", "the endpoint is"),
        ("s3://b?endpoint=http://u@h", "the endpoint is"),
        ("s3://b?retain-days=-1", "0 to 36500"), ("s3://b?retain-days=36501", "0 to 36500"),
        ("s3://b?retain-mode=loose", "compliance or governance"), ("s3://b?at=yesterday", "takes a time"),
        ("s3://b?region", "'region' is nothing"), ("s3://b?region=%zz", "'region' is nothing"),
    ])
    func whatCannotBeMeantIsRefused(text: String, reason: String) throws {
        var message = ""
        do { _ = try S3Location(text) } catch { message = "\(error)" }
        #expect(message.contains(reason), "\(text): \(message)")
    }

    @Test func aSecretIsNotRepeated() throws {
        var message = ""
        do { _ = try S3Location("s3://b?secret-key=hush-hush") } catch { message = "\(error)" }
        #expect(message.contains("'secret-key'") && !message.contains("hush-hush"), "\(message)")
    }
}
