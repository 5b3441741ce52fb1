/// The condition keys that a policy may name.
///
/// Source: Service Authorization Reference, "Condition keys for Amazon S3"; IAM User Guide, "AWS global condition context
/// keys".
enum PolicyConditionKey {
    /// Whether the key, in lower case, is one that Amazon S3 knows. Which of them a request has is another question.
    static func isKnown(_ key: String, _ kind: PolicyDocument.Kind) -> Bool {
        if keys.contains(key) { return true }
        if families.contains(where: { key.hasPrefix($0) && key.utf8.count > $0.utf8.count }) { return true }
        // A user's policy may speak of other services as well.
        guard case .user = kind, let colon = key.firstIndex(of: ":") else { return false }
        return !["aws", "s3"].contains(key[..<colon]) && key.last != ":" && key.first != ":"
    }

    /// Behind these stands the key of a tag.
    private static let families = [
        "aws:principaltag/", "aws:requesttag/", "aws:resourcetag/", "s3:buckettag/",
        "s3:existingobjecttag/", "s3:requestobjecttag/",
    ]

    private static let keys: Set<String> = [
        "aws:calledvia", "aws:calledviafirst", "aws:calledvialast", "aws:currenttime",
        "aws:ec2instancesourceprivateipv4",
        "aws:ec2instancesourcevpc", "aws:epochtime", "aws:federatedprovider", "aws:multifactorauthage",
        "aws:multifactorauthpresent", "aws:principalaccount", "aws:principalarn", "aws:principalisawsservice",
        "aws:principalorgid", "aws:principalorgpaths", "aws:principalservicename",
        "aws:principalservicenameslist", "aws:principaltype", "aws:referer", "aws:requestedregion",
        "aws:resourceaccount", "aws:resourceorgid", "aws:resourceorgpaths", "aws:securetransport",
        "aws:sourceaccount", "aws:sourcearn", "aws:sourceidentity", "aws:sourceip", "aws:sourceorgid",
        "aws:sourceorgpaths", "aws:sourceowner", "aws:sourcevpc", "aws:sourcevpcarn", "aws:sourcevpce",
        "aws:tagkeys", "aws:tokenissuetime", "aws:useragent", "aws:userid", "aws:username",
        "aws:viaawsservice",
        "aws:vpceaccount", "aws:vpceorgid", "aws:vpceorgpaths", "aws:vpcsourceip",

        "s3:accessgrantsinstancearn", "s3:accesspointnetworkorigin", "s3:accesspointtag", "s3:authtype",
        "s3:dataaccesspointaccount", "s3:dataaccesspointarn", "s3:delimiter", "s3:destinationregion",
        "s3:existingjoboperation", "s3:existingjobpriority", "s3:if-match", "s3:if-none-match",
        "s3:inventoryaccessibleoptionalfields", "s3:isreplicationpauserequest", "s3:jobsuspendedcause",
        "s3:locationconstraint", "s3:max-keys", "s3:object-lock-legal-hold", "s3:object-lock-mode",
        "s3:object-lock-remaining-retention-days", "s3:object-lock-retain-until-date",
        "s3:objectcreationoperation", "s3:prefix", "s3:requestjoboperation", "s3:requestjobpriority",
        "s3:requestobjecttagkeys", "s3:resourceaccount", "s3:signatureage", "s3:signatureversion",
        "s3:tlsversion", "s3:versionid", "s3:x-amz-acl", "s3:x-amz-content-sha256",
        "s3:x-amz-copy-source", "s3:x-amz-grant-full-control", "s3:x-amz-grant-read",
        "s3:x-amz-grant-read-acp", "s3:x-amz-grant-write", "s3:x-amz-grant-write-acp",
        "s3:x-amz-metadata-directive", "s3:x-amz-object-ownership", "s3:x-amz-server-side-encryption",
        "s3:x-amz-server-side-encryption-aws-kms-key-id",
        "s3:x-amz-server-side-encryption-customer-algorithm", "s3:x-amz-storage-class",
        "s3:x-amz-website-redirect-location",
    ]

    /// With a fixed value of one of these, a policy is not public; `aws:sourceip` has a rule of its own.
    static let limiting: Set<String> = [
        "aws:principalaccount", "aws:principalarn", "aws:principalorgid", "aws:principalorgpaths",
        "aws:sourceaccount", "aws:sourcearn", "aws:sourceowner", "aws:sourcevpc", "aws:sourcevpce",
        "aws:userid",
        "aws:username", "s3:dataaccesspointaccount", "s3:dataaccesspointarn",
        "s3:x-amz-server-side-encryption-aws-kms-key-id",
    ]
}
