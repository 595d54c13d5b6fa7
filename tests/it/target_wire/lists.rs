//! Pages and filters.

use super::*;

/// How a list server pages.
async fn lister(
    answer: impl Fn(u64, Option<u64>) -> ResponseTemplate + Send + Sync + 'static,
) -> (MockServer, TargetReader, Target) {
    let server = MockServer::start().await;
    let respond = By(move |r: &Request| {
        let start = query(r, "startIndex").and_then(|s| s.parse().ok()).unwrap_or(1);
        answer(start, query(r, "count").and_then(|s| s.parse().ok()))
    });
    Mock::given(method("GET")).and(path("/scim/v2/Users")).respond_with(respond).mount(&server).await;
    let (target, reader, _) = connect(&config(&server));
    (server, reader, target)
}

#[tokio::test]
async fn lists_come_whole_however_the_server_pages() {
    // Caps pages at 7.
    let (server, reader, _) = lister(|start, _| page(Some(20), people(start, (start + 6).min(20)))).await;
    assert_eq!(list(&reader).await.unwrap().len(), 20);
    assert_eq!(count(&server).await, 3);
    // Starts over past the end, and never says how many there are.
    let (_s, reader, _) =
        lister(|start, _| page(None, if start > 20 { people(1, 10) } else { people(start, (start + 9).min(20)) })).await;
    assert_eq!(list(&reader).await.unwrap().len(), 20);
    // Ignores paging: everything every time.
    let (server, reader, _) = lister(|_, _| page(Some(250), people(1, 250))).await;
    assert_eq!((list(&reader).await.unwrap().len(), count(&server).await), (250, 1));
    // Says the length of the page instead of the whole.
    let (_s, reader, _) = lister(|start, _| {
        let rows = people(start, (start + 99).min(250));
        page(Some(rows.len() as u64), rows)
    })
    .await;
    assert_eq!(list(&reader).await.unwrap().len(), 250);
    // Fails on any count.
    let (_s, reader, _) = lister(|start, count| match count {
        Some(_) => ResponseTemplate::new(500),
        None => page(Some(30), people(start, (start + 9).min(30))),
    })
    .await;
    assert_eq!(list(&reader).await.unwrap().len(), 30);
    // Other spellings.
    let odd = json!({"totalresults": "2", "resources": [{"ID": 7}, {"Id": "8"}], "itemsPerPage": "2"});
    let (_s, reader, _) = lister(move |_, _| json_body(200, &odd)).await;
    assert_eq!(list(&reader).await.unwrap().len(), 2);
    let (_s, reader, _) = lister(|_, _| json_body(200, &json!({"totalResults": 0}))).await;
    assert!(list(&reader).await.unwrap().is_empty());
}

/// RFC 9865 lets a server page by cursor only; this one does not say so beforehand.
#[tokio::test]
async fn a_cursor_that_was_not_announced_is_followed() {
    for total in [Some(12), None] {
        let server = MockServer::start().await;
        let respond = By(move |r: &Request| {
            let first: u64 = query(r, "cursor").and_then(|c| c.strip_prefix('c')?.parse().ok()).unwrap_or(1);
            let mut body = json!({"Resources": people(first, (first + 4).min(12))});
            if let Some(total) = total {
                body["totalResults"] = json!(total);
            }
            if first + 5 <= 12 {
                body["nextCursor"] = json!(format!("c{}", first + 5));
            }
            json_body(200, &body)
        });
        Mock::given(method("GET")).and(path("/scim/v2/Users")).respond_with(respond).mount(&server).await;
        let (_, reader, _) = connect(&config(&server));
        assert_eq!(list(&reader).await.unwrap().len(), 12, "{total:?}");
    }
}

#[tokio::test]
async fn lists_that_are_not_whole_are_errors() {
    let (_s, reader, _) = lister(|start, _| page(Some(20), if start > 10 { vec![] } else { people(1, 10) })).await;
    let error = list(&reader).await.unwrap_err();
    assert_eq!(error.fault, Fault::Transient);
    assert!(error.to_string().contains("incomplete"), "{error}");
    // Starts over before the end.
    let (_s, reader, _) = lister(|_, _| page(Some(20), people(1, 10))).await;
    assert!(list(&reader).await.unwrap_err().to_string().contains("20 and gave 10"));
    for (body, fault) in [
        ("{\"totalResults\": 1, \"Resources\": [{\"id\"", Fault::Transient),
        ("<html>login</html>", Fault::Permanent),
        ("7", Fault::Permanent),
        ("{}", Fault::Permanent),
    ] {
        let (_s, reader, _) = lister(move |_, _| ResponseTemplate::new(200).set_body_string(body)).await;
        let error = list(&reader).await.unwrap_err();
        assert_eq!(error.fault, fault, "{body}: {error}");
    }
    for (status, fault) in [(401, Fault::Auth), (403, Fault::Auth), (404, Fault::Permanent)] {
        let (_s, reader, _) = lister(move |_, _| ResponseTemplate::new(status)).await;
        assert_eq!(list(&reader).await.unwrap_err().fault, fault, "{status}");
    }
}

#[tokio::test]
async fn cursors_are_followed_and_loops_are_seen() {
    let server = MockServer::start().await;
    let answer = |r: &Request| {
        let at: u64 = query(r, "cursor").unwrap().strip_prefix("c/").map_or(1, |c| c.parse().unwrap());
        let mut body = json!({"Resources": people(at, (at + 9).min(25))});
        if at + 10 <= 25 {
            body["nextCursor"] = json!(format!("c/{}", at + 10));
        }
        json_body(200, &body)
    };
    Mock::given(method("GET")).respond_with(By(answer)).mount(&server).await;
    let target = Target::new("app", &config(&server)).unwrap();
    let reader = target.reader(&Dialect { cursor: true, ..Dialect::default() });
    assert_eq!((list(&reader).await.unwrap().len(), count(&server).await), (25, 3));
    let server = MockServer::start().await;
    Mock::given(method("GET"))
        .respond_with(json_body(200, &json!({"Resources": people(1, 3), "nextCursor": "same"})))
        .mount(&server)
        .await;
    let reader = Target::new("app", &config(&server)).unwrap().reader(&Dialect { cursor: true, ..Dialect::default() });
    assert!(list(&reader).await.unwrap_err().to_string().contains("leads nowhere"));
    // Announced and not done: index paging takes over.
    let server = MockServer::start().await;
    let answer = |r: &Request| {
        let start = query(r, "startIndex").and_then(|s| s.parse().ok()).unwrap_or(1);
        page(Some(25), people(start, (start + 9).min(25)))
    };
    Mock::given(method("GET")).respond_with(By(answer)).mount(&server).await;
    let reader = Target::new("app", &config(&server)).unwrap().reader(&Dialect { cursor: true, ..Dialect::default() });
    assert_eq!(list(&reader).await.unwrap().len(), 25);
}

#[tokio::test]
async fn no_filter_is_believed() {
    let criteria = |name: &str| vec![("externalId".to_owned(), "none".to_owned()), ("userName".to_owned(), name.to_owned())];
    type Answer = fn() -> ResponseTemplate;
    let filters: Vec<(&str, Answer)> = vec![
        ("ignored", || page(Some(30), people(1, 30))),
        ("unsupported, says nothing is there", || page(Some(0), vec![])),
        ("refused", || ResponseTemplate::new(400)),
        ("not implemented", || ResponseTemplate::new(501)),
        ("fails", || ResponseTemplate::new(500)),
        ("forbidden", || ResponseTemplate::new(403)),
        ("promises more", || page(Some(3), vec![])),
    ];
    for (what, answer) in filters {
        let server = MockServer::start().await;
        let respond = By(move |r: &Request| match query(r, "filter") {
            Some(_) => answer(),
            None => page(Some(30), people(1, 30)),
        });
        Mock::given(method("GET")).respond_with(respond).mount(&server).await;
        let (_, reader, _) = connect(&config(&server));
        let found = reader.find(User, &criteria("U17@X.example")).await.unwrap();
        assert_eq!(found.iter().map(|r| r.id.as_str()).collect::<Vec<_>>(), ["id-17"], "{what}");
        assert!(reader.find(User, &criteria("nobody")).await.unwrap().is_empty(), "{what}");
    }
    let server = MockServer::start().await;
    Mock::given(method("GET")).respond_with(ResponseTemplate::new(401)).mount(&server).await;
    let error = connect(&config(&server)).1.find(User, &criteria("x")).await.unwrap_err();
    assert_eq!(error.fault, Fault::Auth, "a fault of the target is no answer");
}

#[tokio::test]
async fn a_filter_that_works_is_believed_and_asked_once() {
    let server = MockServer::start().await;
    let respond = By(|r: &Request| {
        let all = people(1, 30);
        let Some(filter) = query(r, "filter") else { return page(Some(30), all[..20].to_vec()) };
        let value = filter.split('"').nth(1).unwrap().to_lowercase();
        let hits: Vec<Value> =
            all.into_iter().filter(|p| p["userName"] == json!(value) || p["externalId"] == json!(value)).collect();
        page(Some(hits.len() as u64), hits)
    });
    Mock::given(method("GET")).respond_with(respond).mount(&server).await;
    let (target, reader, _) = connect(&config(&server));
    let by = |name: &str| vec![("userName".to_owned(), name.to_owned())];
    assert!(reader.find(User, &by("nobody@x.example")).await.unwrap().is_empty());
    assert_eq!(target.requests().read, 3, "the query, a known row, and the control query in other case");
    assert!(reader.find(User, &by("no.one@x.example")).await.unwrap().is_empty());
    assert_eq!(reader.find(User, &by("U9@x.example")).await.unwrap().len(), 1);
    assert_eq!(target.requests().read, 5, "one query each from then on");
}

#[tokio::test]
async fn filters_ask_for_what_they_mean() {
    let server = MockServer::start().await;
    Mock::given(query_param("filter", "userName eq \"a \\\"b\\\" \\\\c\""))
        .respond_with(page(Some(1), vec![json!({"id": "1", "userName": "A \"b\" \\c"})]))
        .mount(&server)
        .await;
    Mock::given(query_param("filter", "emails[type eq \"work\" and value eq \"w\"]"))
        .respond_with(page(Some(1), vec![json!({"id": "2", "emails": [{"type": "work", "value": "W"}]})]))
        .mount(&server)
        .await;
    let (target, reader, _) = connect(&config(&server));
    for (attribute, value, found) in [("userName", "a \"b\" \\c", "1"), (WORK, "w", "2")] {
        let rows = reader.find(User, &[(attribute.to_owned(), value.to_owned())]).await.unwrap();
        assert_eq!(rows.iter().map(|r| r.id.as_str()).collect::<Vec<_>>(), [found]);
    }
    assert_eq!(target.requests().read, 2);
}

#[tokio::test]
async fn numbers_are_asked_for_as_numbers_and_found_by_their_digits() {
    let server = MockServer::start().await;
    let badges = |numbers: &[u64]| numbers.iter().map(|n| json!({"id": format!("b{n}"), "badge": n})).collect::<Vec<_>>();
    let respond = By(move |r: &Request| match query(r, "filter").as_deref() {
        None => page(Some(2), badges(&[417, 500])),
        Some("badge eq 417") => page(Some(1), badges(&[417])),
        Some("badge eq 500") => page(Some(1), badges(&[500])),
        Some(_) => page(Some(0), Vec::new()),
    });
    Mock::given(method("GET")).respond_with(respond).mount(&server).await;
    let target = Target::new("app", &config(&server)).unwrap();
    let typed = Dialect { types: [("badge".to_owned(), Type::Integer)].into(), ..Dialect::default() };
    let reader = target.reader(&typed);
    let by = |value: &str| vec![("badge".to_owned(), value.to_owned())];
    assert!(reader.find(User, &by("418")).await.unwrap().is_empty());
    assert_eq!(target.requests().read, 3, "the query, a known row, and the control query: no list is read");
    assert_eq!(reader.find(User, &by("0417")).await.unwrap().len(), 0, "compared as it is sent");
    assert_eq!(reader.find(User, &by("417")).await.unwrap()[0].id.as_str(), "b417");
    // A type that nobody told: the list says who it is.
    let reader = Target::new("app", &config(&server)).unwrap().reader(&Dialect::default());
    assert_eq!(reader.find(User, &by("500")).await.unwrap()[0].id.as_str(), "b500");
}

#[tokio::test]
async fn an_application_without_groups_is_told_apart_from_a_wrong_address() {
    let server = MockServer::start().await;
    Mock::given(path_regex("/Users")).respond_with(page(Some(0), Vec::new())).mount(&server).await;
    let (_, reader, _) = connect(&config(&server));
    let (sink, _rows) = mpsc::channel(1);
    let error = reader.list(Group, &sink).await.unwrap_err().to_string();
    assert!(error.contains("groups = false") && !error.contains("base address"), "{error}");
    let server = MockServer::start().await;
    let (_, reader, _) = connect(&config(&server));
    assert!(list(&reader).await.unwrap_err().to_string().contains("base address"));
}

/// Between two pages an account in front of them is deleted: everybody behind moves up by one.
#[tokio::test]
async fn a_list_that_moves_while_it_is_read_is_read_again() {
    let asked = AtomicUsize::new(0);
    let (_s, reader, _) = lister(move |start, _| {
        let deleted = asked.fetch_add(1, Ordering::SeqCst) > 0;
        let all: Vec<Value> = people(1, 26).into_iter().skip(usize::from(deleted)).collect();
        let from = usize::try_from(start).unwrap() - 1;
        page(Some(all.len() as u64), all.into_iter().skip(from).take(10).collect())
    })
    .await;
    let ids: Vec<String> = list(&reader).await.unwrap().into_iter().map(|r| r.id.0).collect();
    assert_eq!(ids.len(), 26, "{ids:?}");
    // One that never keeps still is read to its end.
    let asked = AtomicUsize::new(0);
    let (server, reader, _) = lister(move |start, _| {
        let gone = asked.fetch_add(1, Ordering::SeqCst) as u64;
        page(Some(100 - gone), people(start, (start + 9).min(60)))
    })
    .await;
    let _ = list(&reader).await;
    assert!(count(&server).await < 40, "{}", count(&server).await);
}

/// Wherever in the list somebody is deleted while it is read, and whichever page is read just then: whoever stays is received.
#[tokio::test]
async fn nobody_is_passed_over_in_a_list_that_moves() {
    for (rows, cursors) in [(30, false), (40, false), (35, true)] {
        for (after, gone) in [(1, 1), (1, 10), (2, 1), (2, 10), (2, 20), (3, 1), (3, 20), (3, 30)] {
            let asked = AtomicU64::new(0);
            let (server, reader, _) = lister(move |start, _| {
                let deleted = asked.fetch_add(1, Ordering::SeqCst) >= after;
                let mut all = people(1, rows);
                if deleted {
                    all.remove(gone - 1);
                }
                let next = usize::try_from(start).unwrap() + 9;
                let mut body = json!({"totalResults": all.len(), "Resources": []});
                if cursors && next < all.len() {
                    body["nextCursor"] = json!(format!("c{next}"));
                }
                body["Resources"] = all.into_iter().skip(next - 9 - 1).take(10).collect();
                json_body(200, &body)
            })
            .await;
            let case = format!("{rows} rows, cursors {cursors}, {gone} gone after page {after}");
            let ids: Vec<String> =
                list(&reader).await.unwrap_or_else(|e| panic!("{case}: {e}")).into_iter().map(|r| r.id.0).collect();
            for row in people(1, rows).into_iter().enumerate().filter(|(n, _)| n + 1 != gone).map(|(_, row)| row) {
                assert!(ids.contains(&row["id"].as_str().unwrap().to_owned()), "{case}: {} is missing", row["id"]);
            }
            let pages = count(&server).await;
            assert!(pages <= 9, "{case}: {pages} pages");
        }
    }
}
