//! What a provider can do wrong with an answer.

use super::device::{Answer, Done, owned, path};
use crate::providers::answers::{ENTRY, Properties};
use dbus_interfaces::provider::ERROR_PREFIX;
use std::time::Duration;
use zbus::{Connection, Message, ObjectPath, OwnedObjectPath, Variant};

/// What goes wrong at a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::providers) enum Harm {
    /// No answer ever.
    Hang,
    /// An answer when nobody waits for it any more.
    Late,
    /// The provider leaves the bus before it does anything.
    DieBefore,
    /// The provider leaves the bus when it has done it.
    DieAfter,
    /// It refuses.
    Refuse(&'static str),
    /// The answer is of another type.
    Nonsense,
    /// The answer is of the right type, and can't be.
    Lie,
}

/// Answers a call, spoilt as planned.
pub(super) async fn reply(
    connection: &Connection,
    call: &Message,
    answer: Done,
    harm: Option<Harm>,
) -> Result<(), zbus::Error> {
    let header = call.header();
    let refuse = async |word: &str| {
        connection.reply_error(&header, format!("{ERROR_PREFIX}{word}"), &"as planned").await
    };
    match harm {
        Some(Harm::Hang) => return Ok(()),
        Some(Harm::Late) => {
            let (connection, call) = (connection.clone(), call.clone());
            tokio::spawn(async move {
                tokio::time::sleep(Duration::from_secs(2)).await;
                connection.reply(&call.header(), &()).await.ok();
            });
            return Ok(());
        }
        Some(Harm::Refuse(word)) => return refuse(word).await,
        Some(Harm::Nonsense) => return connection.reply(&header, &("nonsense", -1i32)).await,
        _ => {}
    }
    let lie = harm == Some(Harm::Lie);
    let outside = || OwnedObjectPath::try_from("/elsewhere/1").unwrap();
    let object = |number: u64| if lie { outside() } else { path(number) };
    let spoilt = |mut properties: Properties| {
        if lie {
            let wrong = [(ENTRY[2], Variant::from(u64::MAX)), ("TotalFree", Variant::from(u64::MAX))];
            properties.extend(wrong.map(|(name, value)| (name.to_owned(), owned(value))));
        }
        properties
    };
    match answer {
        Err(word) => refuse(word).await,
        Ok(Answer::Nothing) => connection.reply(&header, &()).await,
        Ok(Answer::Object(number)) => connection.reply(&header, &object(number)).await,
        Ok(Answer::Path(text)) => {
            let text = if lie { "/elsewhere/1" } else { &text };
            connection.reply(&header, &ObjectPath::try_from(text)?).await
        }
        Ok(Answer::Objects(numbers)) => {
            let mut objects: Vec<_> = numbers.into_iter().map(object).collect();
            objects.extend(lie.then(outside));
            connection.reply(&header, &objects).await
        }
        Ok(Answer::References(numbers, is_partial)) => {
            let mut objects: Vec<_> = numbers.into_iter().map(object).collect();
            objects.extend(lie.then(outside));
            connection.reply(&header, &(objects, is_partial)).await
        }
        Ok(Answer::Entries(entries)) => {
            let mut all: Vec<_> =
                entries.into_iter().map(|(number, told)| (object(number), spoilt(told))).collect();
            all.extend(lie.then(|| (outside(), Properties::new())));
            connection.reply(&header, &all).await
        }
        Ok(Answer::Inserted(number, told)) => {
            connection.reply(&header, &(object(number), spoilt(told))).await
        }
        Ok(Answer::Renamed(renamed)) => {
            let renamed: Vec<_> = renamed.into_iter().map(|(word, told)| (word, spoilt(told))).collect();
            connection.reply(&header, &renamed).await
        }
        Ok(Answer::Properties(properties)) => connection.reply(&header, &spoilt(properties)).await,
        Ok(Answer::Text(text)) => {
            connection.reply(&header, &if lie { "x".repeat(300_000) } else { text }).await
        }
        Ok(Answer::Texts(mut texts)) => {
            texts.extend(lie.then(|| "x".repeat(5000)));
            connection.reply(&header, &texts).await
        }
        Ok(Answer::Number(number)) => connection.reply(&header, &(number + u64::from(lie))).await,
        Ok(Answer::Bytes(bytes)) => connection.reply(&header, &if lie { vec![7; 7] } else { bytes }).await,
        Ok(Answer::Value(value)) => {
            let value = if lie { owned(Variant::from(7.5f64)) } else { value };
            connection.reply(&header, &value).await
        }
    }
}
